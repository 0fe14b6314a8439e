"""The keys of the revocation table: a session's, and a user's."""


def session_subject(session_id: str) -> str:
    return f"session#{session_id}"


def user_subject(user_id: str) -> str:
    return f"user#{user_id}"
