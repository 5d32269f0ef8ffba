"""The usual way to build such a service: FastAPI, SQLAlchemy's ORM and Pydantic on one table.

It answers the list of incoming calls as Ringback does, with the key in the header checked against its hash. DATABASE is
the address of its database, as SQLAlchemy writes it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Header, HTTPException, Query
from pydantic import BaseModel
from sqlalchemy import BigInteger, LargeBinary, create_engine, or_, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine(os.environ["DATABASE"])
new_session = sessionmaker(engine)


class Base(DeclarativeBase):
    pass


class Key(Base):
    __tablename__ = "peer_keys"
    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    account_id: Mapped[int]


class StoredCall(Base):
    __tablename__ = "peer_calls"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    account_id: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[int]
    phone_number: Mapped[str]
    cached_name: Mapped[str | None]
    geo_location: Mapped[str | None]
    number_fold: Mapped[str]
    name_fold: Mapped[str | None]
    call_date_ms: Mapped[int] = mapped_column(BigInteger)
    duration_sec: Mapped[int]
    created_ms: Mapped[int] = mapped_column(BigInteger)


class Call(BaseModel):
    phone_number: str
    cached_name: str | None
    call_date_ms: int
    call_datetime_utc: str
    duration_sec: int
    geo_location: str | None
    created_at: str


class Filters(BaseModel):
    date_from_ms: str | None
    date_to_ms: str | None
    q: str | None


class CallPage(BaseModel):
    success: bool = True
    apikey: str | None
    limit: int
    offset: int
    sort_by: str
    sort_dir: str
    filters: Filters
    count: int
    rows: list[Call]


def open_session() -> Iterator[Session]:
    with new_session() as session:
        yield session


OpenSession = Annotated[Session, Depends(open_session)]
app = FastAPI()


def account_of(session: OpenSession, authorization: Annotated[str, Header()]) -> int:
    digest = hashlib.sha256(authorization.removeprefix("Bearer ").encode()).digest()
    key = session.get(Key, digest)
    if key is None:
        raise HTTPException(403, "invalid_apikey")
    return key.account_id


def utc(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


@app.get("/call/incoming/list/")
def incoming(
    session: OpenSession,
    account_id: Annotated[int, Depends(account_of)],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
    q: str | None = None,
    date_from_ms: int | None = None,
    date_to_ms: int | None = None,
    sort_by: Literal["call_date_ms", "duration_sec"] = "call_date_ms",
    sort_dir: Literal["asc", "desc"] = "desc",
) -> CallPage:
    query = select(StoredCall).where(StoredCall.account_id == account_id, StoredCall.kind == 1)
    if date_from_ms is not None:
        query = query.where(StoredCall.call_date_ms >= date_from_ms)
    if date_to_ms is not None:
        query = query.where(StoredCall.call_date_ms <= date_to_ms)
    if q:
        pattern = f"%{q.lower()}%"
        query = query.where(or_(StoredCall.number_fold.like(pattern), StoredCall.name_fold.like(pattern)))
    columns = [getattr(StoredCall, sort_by), StoredCall.id]
    query = query.order_by(*(column.asc() if sort_dir == "asc" else column.desc() for column in columns))
    rows = [
        Call(
            phone_number=row.phone_number,
            cached_name=row.cached_name,
            call_date_ms=row.call_date_ms,
            call_datetime_utc=utc(row.call_date_ms),
            duration_sec=row.duration_sec,
            geo_location=row.geo_location,
            created_at=utc(row.created_ms),
        )
        for row in session.scalars(query.limit(limit).offset(offset))
    ]
    filters = Filters(
        date_from_ms=None if date_from_ms is None else str(date_from_ms),
        date_to_ms=None if date_to_ms is None else str(date_to_ms),
        q=q,
    )
    return CallPage(
        apikey=None, limit=limit, offset=offset, sort_by=sort_by, sort_dir=sort_dir, filters=filters,
        count=len(rows), rows=rows,
    )  # fmt: skip
