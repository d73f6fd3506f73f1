from openai import OpenAI

client = OpenAI()
for chunk in client.completions.create(model="gpt-test", prompt="Once upon", stream=True):
    print(chunk.object, repr(chunk.choices[0].text), chunk.choices[0].finish_reason)
answer = client.completions.create(model="gpt-test", prompt="Once upon", max_tokens=50)
print(answer.id, answer.object, answer.choices[0].text, answer.choices[0].finish_reason)
print(answer.usage.total_tokens)
