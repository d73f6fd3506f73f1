import openai
from openai import OpenAI

client = OpenAI(max_retries=0)
for status in (400, 401, 403, 404, 409, 422, 429, 500, 503):
    for stream in (True, False):
        try:
            client.chat.completions.create(
                model=f"status-{status}",
                messages=[{"role": "user", "content": "A story, please"}],
                stream=stream,
            )
        except openai.RateLimitError as error:
            print("slower", error.status_code, error.code, error.response.headers["X-Request-Id"])
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            print("who", type(error).__name__, error.status_code)
        except openai.APIStatusError as error:
            print(type(error).__name__, error.status_code, error.request_id, error.body)
            print(error, "|", error.message, error.code, error.param, error.type)
            print(error.response.json(), "No, " in error.response.text)

try:
    for chunk in client.chat.completions.create(
        model="error-in-stream",
        messages=[{"role": "user", "content": "A story, please"}],
        stream=True,
    ):
        print(chunk.choices[0].delta.content)
except openai.APIError as error:
    print(type(error).__name__, error.message, error.type, error.body)

try:
    OpenAI(base_url="http://127.0.0.1:9/v1", max_retries=0).chat.completions.create(
        model="gpt-test", messages=[{"role": "user", "content": "A story, please"}]
    )
except openai.APITimeoutError:
    print("late")
except openai.APIConnectionError as error:
    print(type(error).__name__, isinstance(error, openai.OpenAIError), error.body)
