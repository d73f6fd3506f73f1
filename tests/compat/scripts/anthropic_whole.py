from anthropic import Anthropic

client = Anthropic().with_options(max_retries=3)
answer = client.messages.create(
    model="claude-test",
    max_tokens=100,
    messages=[{"role": "user", "content": "A story, please"}],
)
print(answer.id, answer.type, answer.role, answer.model)
print(answer.content[0].text, len(answer.content), answer.stop_reason, answer.stop_sequence)
print(answer.usage.input_tokens, answer.usage.output_tokens, answer._request_id)
