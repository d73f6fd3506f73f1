from openai import OpenAI

client = OpenAI()
for event in client.responses.create(model="gpt-test", input="A story, please", stream=True):
    print(event.sequence_number, event.type, end=" ")
    if event.type == "response.output_text.delta":
        print(repr(event.delta), event.item_id, event.output_index, event.content_index)
    elif event.type == "response.output_item.added":
        print(event.item.type, event.item.id)
    elif event.type == "response.completed":
        print(event.response.id, event.response.output_text, event.response.usage.output_tokens)
    else:
        print()

answer = client.responses.create(model="gpt-test", input="A story, please")
print(answer.id, answer.status, answer.output_text, answer.error)
print(answer.output[0].type, answer.output[0].content[0].text, answer.usage.input_tokens)
