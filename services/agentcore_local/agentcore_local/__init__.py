"""A stand-in for the Amazon Bedrock AgentCore data plane, for one machine."""
