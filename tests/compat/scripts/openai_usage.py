from openai import OpenAI

with OpenAI(max_retries=2, timeout=30) as client:
    with client.chat.completions.create(
        model="gpt-test",
        messages=[{"role": "user", "content": "A story, please"}],
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        text = ""
        for chunk in stream:
            if chunk.choices:
                text += chunk.choices[0].delta.content or ""
            if chunk.usage:
                print(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
                print(chunk.usage.total_tokens, chunk.usage.completion_tokens_details)
        print(text)
        print(sorted(chunk.to_dict()), sorted(chunk.model_dump(exclude_unset=True)))
        print(chunk.model_dump()["usage"]["prompt_tokens"])
