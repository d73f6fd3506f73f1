"""Credentials are not written; what was asked and answered is."""

import pytest

from streamsafe.journal.masking import MASK, masked, secret_name, unmasked


@pytest.mark.parametrize(
    "name",
    ["api_key", "x-api-key", "apiKey", "Authorization", "Proxy-Authorization", "accessToken",
     "client_secret", "Set-Cookie", "password", "key", "X-Amz-Signature", "credentials"],
)  # fmt: skip
def test_names_of_credentials(name):
    assert secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["max_tokens", "x-ratelimit-remaining-tokens", "monkey", "keyboard", "stop", "author",
     "prompt_cache_key", "Idempotency-Key", "logprobs"],
)  # fmt: skip
def test_names_that_are_none(name):
    assert not secret_name(name)


def test_what_stands_under_such_a_name_is_masked_at_any_depth():
    asked = {"extra_headers": {"Authorization": "Bearer abc"}, "tool_choice": [{"api_key": "k"}]}
    assert masked(asked) == {
        "extra_headers": {"Authorization": MASK}, "tool_choice": [{"api_key": MASK}],
    }  # fmt: skip


def test_messages_and_tools_stay_as_they_are():
    messages = [
        {"role": "user", "content": "my password is owl", "signature": "needed"},
        {"role": "tool", "api_key": "an argument of the program's own"},
    ]
    tools = [{"function": {"parameters": {"properties": {"token": {"type": "string"}}}}}]
    assert masked({"messages": messages, "tools": tools}) == {"messages": messages, "tools": tools}


def test_known_secrets_are_masked_wherever_they_stand():
    asked = {"messages": [{"content": "it is sk-planted, really"}], "user": "sk-planted"}
    assert masked(asked, ["sk-planted"]) == {
        "messages": [{"content": f"it is {MASK}, really"}], "user": MASK,
    }  # fmt: skip


def test_a_secret_too_short_to_be_one_eats_no_words():
    assert masked({"user": "kiwi"}, ["k"]) == {"user": "kiwi"}


def test_the_user_and_password_of_an_address_are_masked():
    assert masked({"image": "https://me:pass@host/x"}) == {"image": f"https://{MASK}@host/x"}


def test_what_was_masked_is_left_out_when_it_is_asked_again():
    assert unmasked({"extra_headers": {"Authorization": MASK, "X-Team": "owls"}, "user": MASK}) == {
        "extra_headers": {"X-Team": "owls"}, "user": MASK,
    }  # fmt: skip
