import anthropic

client = anthropic.Anthropic(max_retries=0)
for status in (400, 401, 402, 403, 404, 409, 413, 422, 429, 500, 503, 504, 529):
    for stream in (True, False):
        try:
            client.messages.create(
                model=f"status-{status}",
                max_tokens=100,
                messages=[{"role": "user", "content": "A story, please"}],
                stream=stream,
            )
        except anthropic.RateLimitError as error:
            print("slower", error.status_code, error.response.headers["Request-Id"])
        except anthropic.APIStatusError as error:
            print(type(error).__name__, error.status_code, error.request_id, error.type)
            print(error.body, error.response.json(), "No, " in error.response.text)
            print(error.api_message)
            print(error, "|", error.message)

try:
    with client.messages.stream(
        model="error-in-stream",
        max_tokens=100,
        messages=[{"role": "user", "content": "A story, please"}],
    ) as events:
        for text in events.text_stream:
            print(text)
except anthropic.APIStatusError as error:
    print(type(error).__name__, error.status_code, error.body, error.type)
