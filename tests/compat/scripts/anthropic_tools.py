from anthropic import Anthropic

TOOLS = [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}]

client = Anthropic()
question = {"role": "user", "content": "How is the weather in Oslo?"}
with client.messages.stream(
    model="claude-test", max_tokens=100, messages=[question], tools=TOOLS
) as stream:
    for event in stream:
        if event.type == "content_block_delta" or getattr(event, "partial_json", None) == "":
            continue
        print(event.type, end=" ")
        if event.type == "input_json":
            print(repr(event.partial_json), event.snapshot)
        elif event.type == "text":
            print(repr(event.text), repr(event.snapshot))
        elif event.type == "content_block_stop":
            print(event.index, event.content_block.type)
        elif event.type == "message_stop":
            print(event.message.stop_reason)
        else:
            print()
    message = stream.get_final_message()
for block in message.content:
    if block.type == "tool_use":
        print(block.id, block.name, block.input, block.input["city"])

# The content is sent back as it came.
call = message.content[-1]
result = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
answer = client.messages.create(
    model="claude-test",
    max_tokens=100,
    messages=[
        question,
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": [result]},
    ],
)
print(answer.content[0].text)
