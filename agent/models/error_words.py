"""How providers word their refusals: what an error's identifiers and its message say, in lower case. Pure.

Several providers use one code for different things, or none: what can be done is then told by the other members.
"""

from __future__ import annotations

import re

OVERFLOW = re.compile(
    r"context_length_exceeded|exceed_context_size|context_window_exceeded|contextwindowexceeded|tokens_limit_reached"
    r"|string_above_max_length|request_too_large"
    r"|maximum (?:context|prompt|input|model) length|max(?:imum)? context"
    r"|context (?:size|window|length) (?:of|is|was|has)|context (?:window|length) exceed|context (?:length )?overflow"
    r"|exceed(?:s|ed)? (?:the )?(?:available |model'?s? |maximum )?(?:context|number of (?:input )?tokens)"
    r"|exceed(?:s|ed)? the limit of \d+ tokens"
    r"|exceed(?:s|ed)? (?:the )?model (?:token )?limit|context size (?:has been )?exceeded"
    r"|(?:prompt|input|string) (?:is )?too (?:long|large)|too many (?:input )?tokens(?!,? (?:please|per))"
    r"|reduce the length of the|payload size exceeds|request body too large|input token count"
    r"|(?:longer|greater) than the (?:model'?s? )?(?:context|maximum model)|context the overflows"
    r"|`?inputs`? (?:tokens \+ `?max_new_tokens|must have less than)|range of input length"
    r"|tokens in request more than max"
    r"|prompt ?超长",
)
"""Context overflow as OpenAI, Azure, GitHub, vLLM, SGLang, TGI, llama.cpp, LM Studio, Ollama, Anthropic, Google, xAI,
Mistral, Cohere, Together, Bedrock, Groq, Moonshot, Qwen, MiniMax and Zhipu word it."""

FILTERED_CODE = re.compile(
    r"content_?filter|content_?policy|responsible_?ai|data_?inspection_?failed|invalid_prompt"
    r"|moderation|prohibited_content|content_blocked|guardrail|\b1301\b"
)
FILTERED = re.compile(
    r"content (?:filter|management policy|exists risk)|contentpolicyviolation|usage (?:polic|guideline)"
    r"|(?:prompt|input|content|request)\b.{0,40}\b(?:was|been|is) flagged|safety system|prohibited content"
    r"|inappropriate content|considered high risk|不安全或敏感内容",
)
"""A filter's refusal as OpenAI, Azure, Anthropic, xAI, OpenRouter, DeepSeek, Moonshot, Qwen and Zhipu word it."""

NO_CREDIT_CODE = re.compile(
    r"insufficient_?(?:user_?)?(?:quota|balance|credits?|funds)|exceeded_current_quota|billing_|arrearage"
    r"|budget_?exceeded|credit_?(?:limit|balance)|credits?_?(?:exhausted|depleted)|payment_?required|http_402|\b1113\b"
)
"""Limits that no wait of ours outlasts: codes."""

NO_CREDIT = re.compile(
    r"exceeded your current quota|credit balance is too low|insufficient (?:account )?(?:balance|credits?|funds|quota)"
    r"|out of credits?|(?:doesn't|does not|don't|no longer) have (?:any |enough )?credits|requires more credits"
    r"|used all available credits|spending limit|budget has been exceeded|余额不足|欠费"
)
PASSES = re.compile(r"(?:re)?try again in|retry in|per[ _-]?(?:minute|second|min)\b|retrydelay")
"""Beside the same words it is a rate limit: Google words all of its limits as a quota."""

RATE = re.compile(
    r"rate_?limit|too_?many_?requests|limit_requests|throttl|quota|insufficient_credit|resource_?exhausted|\b130[23]\b"
)
AUTH = re.compile(r"api_?key|auth|permission|forbidden")
WRONG_KEY = re.compile(r"api key not valid|(?:incorrect|invalid) api key")
BAD_REQUEST = re.compile(r"invalid_?request|bad_?request|not_?found|unsupported|invalid_?argument")
TIMEOUT = re.compile(r"time_?out|deadline_?exceeded")
