"""What alembic runs: the steps, on the connection that `iamiou_leaderboard.database` hands over."""

from __future__ import annotations

from alembic import context

from iamiou_leaderboard.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
