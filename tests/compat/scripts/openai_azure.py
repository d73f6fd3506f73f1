from openai import AzureOpenAI, NotFoundError

QUESTION = [{"role": "user", "content": "A story, please"}]

client = AzureOpenAI(api_version="2024-10-21", default_headers={"X-Team": "stories"})
for chunk in client.chat.completions.create(model="gpt-test", messages=QUESTION, stream=True):
    if chunk.choices and chunk.choices[0].delta.content:
        print(chunk.choices[0].delta.content, end="|")
print()

client = AzureOpenAI(
    api_version="2024-10-21",
    azure_deployment="stories",
    azure_ad_token_provider=lambda: "a-token",
)
answer = client.chat.completions.create(model="gpt-test", messages=QUESTION)
print(answer.choices[0].message.content)
print(client.responses.create(model="gpt-test", input="A story, please").output_text)
try:
    client.chat.completions.create(model="status-404", messages=QUESTION, stream=True)
except NotFoundError as error:
    print(error.status_code, error.code)
