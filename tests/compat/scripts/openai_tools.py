import json

from openai import OpenAI

TOOLS = [
    {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
    }
]

client = OpenAI()
messages = [{"role": "user", "content": "How is the weather in Oslo?"}]
calls = {}
for chunk in client.chat.completions.create(
    model="gpt-test", messages=messages, tools=TOOLS, stream=True
):
    delta = chunk.choices[0].delta
    for call in delta.tool_calls or []:
        if call.id:
            calls[call.index] = [call.id, call.function.name, ""]
        calls[call.index][2] += call.function.arguments
    if chunk.choices[0].finish_reason:
        print(chunk.choices[0].finish_reason)
print(calls, [json.loads(arguments) for _, _, arguments in calls.values()])

# In one piece, and the message sent back as it came.
answer = client.chat.completions.create(model="gpt-test", messages=messages, tools=TOOLS)
message = answer.choices[0].message
print(message.content, message.role, answer.choices[0].finish_reason)
for call in message.tool_calls:
    print(call.id, call.type, call.function.name, call.function.arguments)
messages.append(message)
messages.append({"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "rain"})
answer = client.chat.completions.create(model="gpt-test", messages=messages)
print(answer.choices[0].message.content)
