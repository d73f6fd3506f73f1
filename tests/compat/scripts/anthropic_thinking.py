from anthropic import Anthropic

client = Anthropic(timeout=30.0)
with client.messages.stream(
    model="claude-test",
    max_tokens=2000,
    thinking={"type": "enabled", "budget_tokens": 1024},
    messages=[{"role": "user", "content": "A story, please"}],
) as stream:
    for event in stream:
        if event.type == "thinking":
            print("thinking", repr(event.thinking), repr(event.snapshot))
        elif event.type == "signature":
            print("signature", event.signature)
        elif event.type == "text":
            print("text", repr(event.text))
print([block.type for block in stream.get_final_message().content])
print(stream.get_final_message().content[0].thinking)
