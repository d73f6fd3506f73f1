from anthropic import Anthropic

client = Anthropic()
with client.messages.stream(
    model="claude-test",
    max_tokens=100,
    system="Be brief",
    messages=[{"role": "user", "content": "A story, please"}],
) as stream:
    for text in stream.text_stream:
        print(text, end="|")
    print()
    message = stream.get_final_message()
    print(message.id, message.role, message.model, message.stop_reason, message.stop_sequence)
    print(message.usage.input_tokens, message.usage.output_tokens)
    print(stream.get_final_text())
    print(message.content[0].type, message.content[0].text)
