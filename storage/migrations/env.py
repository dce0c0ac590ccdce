"""How Alembic reaches the run database: one migration at a time, also when two processes start together."""

from alembic import context
from sqlalchemy import text

from storage.database import Base, connect, discover

LOCK = 0x6E6C  # any number that only Nightloom's migrations use

discover()
engine = connect(context.config.attributes["url"])
with engine.connect() as connection:
    if connection.dialect.name == "postgresql":
        # Held until the commit: released any earlier, the next process would not see these tables yet.
        connection.execute(text(f"select pg_advisory_xact_lock({LOCK})"))
    else:
        connection.exec_driver_sql("begin exclusive")
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
engine.dispose()
