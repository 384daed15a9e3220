"""Every name that leaves this program: spans, attributes, events, metrics. Nothing else spells one out.

Source of the `gen_ai.*` names: the OpenTelemetry GenAI semantic conventions, status *development*: the first
release v0.1.0 (November 2026, on core v1.45.0) as far as its text could be read, else the main branch of
9 October 2026. Two metric families were renamed within two weeks of that date, which is why a rename must be a
change of this one file. The constants of the package `opentelemetry-semantic-conventions` 0.66b2 are the old
names, all marked deprecated, and are not used. The conventions have no name for cost: ours are in `agent.*`.
"""

from __future__ import annotations

from typing import Final

SCOPE: Final = "operated-agent"
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/gen-ai/0.1.0"
"""Unverified: no published text states the schema URL of v0.1.0; this follows the form of the URLs before it."""

# --- operations (`gen_ai.operation.name`, and the first word of a span's name) -----------------------------------

INVOKE_AGENT: Final = "invoke_agent"
CHAT: Final = "chat"
EXECUTE_TOOL: Final = "execute_tool"

# --- attributes of the conventions -------------------------------------------------------------------------------

OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
AGENT_NAME: Final = "gen_ai.agent.name"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
PROMPT_NAME: Final = "gen_ai.prompt.name"
PROMPT_VERSION: Final = "gen_ai.prompt.version"
PROMPT_VARIABLE: Final = "gen_ai.prompt.variable."
REQUEST: Final = "gen_ai.request."
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
TOKEN_MODALITY: Final = "gen_ai.token.modality"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_DESCRIPTION: Final = "gen_ai.tool.description"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
ERROR_TYPE: Final = "error.type"
USER_ID: Final = "user.id"
OPENAI_API_TYPE: Final = "openai.api.type"
OPENAI_REQUEST_SERVICE_TIER: Final = "openai.request.service_tier"
OPENAI_RESPONSE_SERVICE_TIER: Final = "openai.response.service_tier"
OPENAI_SYSTEM_FINGERPRINT: Final = "openai.response.system_fingerprint"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"

# content: only when its capture is on
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"

# --- attributes of our own ---------------------------------------------------------------------------------------

TURN_ID: Final = "agent.turn.id"
OUTCOME: Final = "agent.outcome"
TURN_COST: Final = "agent.turn.cost.usd"
"""Cost of the turn, on the agent span only. Another key than `COST`, so that no back end adds parent to children."""
COST: Final = "agent.cost.usd"
COST_QUALITY: Final = "agent.cost.quality"
HELD: Final = "agent.held.usd"
ATTEMPTS: Final = "agent.attempts"
PROMPT_DIGEST: Final = "agent.prompt.digest"
TENANT: Final = "agent.tenant"
RETRY_DELAY: Final = "agent.retry.delay"
"""Seconds, on the span event `RETRY`."""
FALLBACK_MODEL: Final = "agent.fallback.model"
REPEAT_KIND: Final = "agent.repeat.kind"
REJECTION: Final = "agent.rejection"
COST_SIDE: Final = "agent.cost.side"
"""Whether the provider states `more` or `less` than the price book."""
BUDGET_NAME: Final = "agent.budget.name"
BUDGET_WINDOW: Final = "agent.budget.window"
SIGNAL: Final = "agent.signal"
REASON: Final = "agent.reason"

# --- of the conventions for HTTP servers (stable, core v1.45.0) -----------------------------------------------------

HTTP_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS: Final = "http.response.status_code"
HTTP_DURATION: Final = "http.server.request.duration"
URL_SCHEME: Final = "url.scheme"

# --- events ------------------------------------------------------------------------------------------------------

RETRY: Final = "agent.retry"
OPERATION_DETAILS: Final = "gen_ai.client.inference.operation.details"
OPERATION_EXCEPTION: Final = "gen_ai.client.operation.exception"
TOOL_EXCEPTION: Final = "gen_ai.execute_tool.exception"

# --- metrics of the conventions ----------------------------------------------------------------------------------

INFERENCE_DURATION: Final = "gen_ai.client.inference.duration"
INFERENCE_FIRST_CHUNK: Final = "gen_ai.client.inference.time_to_first_chunk"
INFERENCE_OUTPUT_CHUNK: Final = "gen_ai.client.inference.time_per_output_chunk"
USAGE_INPUT: Final = "gen_ai.client.inference.usage.input_tokens"
USAGE_OUTPUT: Final = "gen_ai.client.inference.usage.output_tokens"
USAGE_CACHE_READ: Final = "gen_ai.client.inference.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE: Final = "gen_ai.client.inference.usage.cache_write.input_tokens"
USAGE_REASONING: Final = "gen_ai.client.inference.usage.reasoning.output_tokens"
OPERATION_INPUT: Final = "gen_ai.client.inference.operation.input_tokens"
OPERATION_OUTPUT: Final = "gen_ai.client.inference.operation.output_tokens"
AGENT_DURATION: Final = "gen_ai.invoke_agent.duration"
AGENT_INFERENCE_CALLS: Final = "gen_ai.invoke_agent.inference_calls"
AGENT_TOOL_CALLS: Final = "gen_ai.invoke_agent.tool_calls"
TOOL_DURATION: Final = "gen_ai.execute_tool.duration"

# --- metrics of our own ------------------------------------------------------------------------------------------

COST_TOTAL: Final = "agent.cost.usd"
COST_DIFFERENCE: Final = "agent.cost.difference.usd"
TURN_COST_USD: Final = "agent.turn.cost.usd"
TURNS: Final = "agent.turns"
TURNS_ACTIVE: Final = "agent.turns.active"
RETRIES: Final = "agent.retries"
FALLBACKS: Final = "agent.fallbacks"
REPEATS: Final = "agent.repeats"
TOOL_REJECTIONS: Final = "agent.tool.rejections"
LEDGER_COST: Final = "agent.ledger.cost.usd"
BUDGET_LIMIT: Final = "agent.budget.limit.usd"
BUDGET_CHARGED: Final = "agent.budget.charged.usd"
BUDGET_HELD: Final = "agent.budget.held.usd"
BUDGET_REFUSALS: Final = "agent.budget.refusals"
HOLDS_EXPIRED: Final = "agent.holds.expired"
BOUND_BREACHES: Final = "agent.bound.breaches"
BOUND_RATIO: Final = "agent.bound.ratio"
SETTLES_WAITING: Final = "agent.settles.waiting"
PROMPT_ACTIVE: Final = "agent.prompt.active"
PROMPT_GENERATION: Final = "agent.prompt.generation"
CONFIG_GENERATION: Final = "agent.config.generation"
CONFIG_VALID: Final = "agent.config.valid"
TELEMETRY_DROPPED: Final = "agent.telemetry.dropped"
