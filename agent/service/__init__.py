"""The agent as a model behind the OpenAI API."""
