from openai import OpenAI

client = OpenAI()
stream = client.chat.completions.create(
    model="gpt-test",
    messages=[{"role": "user", "content": "A story, please"}],
    temperature=0.5,
    stream=True,
)
for chunk in stream:
    choice = chunk.choices[0]
    print(chunk.id, chunk.object, chunk.model, choice.index, end=" ")
    print(repr(choice.delta.role), repr(choice.delta.content), choice.finish_reason, chunk.usage)
