"""What `POST /jobs` is held against: a FastAPI route that validates the same body and does nothing."""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI

from ironforge.requests import JobIn

app = FastAPI()


@app.post("/jobs", status_code=201)
async def submit(job: JobIn) -> dict[str, str]:
    return {"kind": job.kind}


if __name__ == "__main__":
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False, loop="uvloop",
        http="httptools",
    )  # fmt: skip
