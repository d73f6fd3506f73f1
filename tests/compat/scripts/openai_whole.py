from openai import OpenAI

client = OpenAI().with_options(timeout=20, max_retries=3)
answer = client.chat.completions.create(
    model="gpt-test", messages=[{"role": "user", "content": "A story, please"}], seed=7
)
print(answer.id, answer.object, answer.created, answer.model)
print(answer.choices[0].message.content, answer.choices[0].message.refusal)
print(answer.choices[0].finish_reason, answer.choices[0].index, answer.choices[0].logprobs)
print(answer.choices[0].message.tool_calls, answer.choices[0].message.function_call)
print(answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens)
print(answer._request_id)
