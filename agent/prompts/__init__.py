"""What the agent is told before the conversation: versions, as files, and their templates."""
