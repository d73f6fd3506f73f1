from anthropic import Anthropic

client = Anthropic()
for event in client.messages.create(
    model="claude-test",
    max_tokens=100,
    messages=[{"role": "user", "content": "A story, please"}],
    stream=True,
):
    print(event.type, end=" ")
    if event.type == "message_start":
        print(event.message.id, event.message.usage.input_tokens, event.message.content)
    elif event.type == "content_block_start":
        print(event.index, event.content_block.type)
    elif event.type == "content_block_delta":
        print(event.index, event.delta.type, repr(event.delta.text))
    elif event.type == "message_delta":
        print(event.delta.stop_reason, event.usage.output_tokens)
    else:
        print(sorted(event.to_dict()))
