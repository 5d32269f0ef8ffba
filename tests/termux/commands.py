"""The `termux-*` commands and `getprop`. Which one it is, is its file's name; the phone's state is the file SIM_STATE.

Written for `python -S -E`: it starts in a few milliseconds, as often as the agent asks.
"""

import json
import os
import re
import sys
import time

TYPES = {1: "INCOMING", 2: "OUTGOING", 3: "MISSED", 4: "VOICEMAIL", 5: "REJECTED", 6: "BLOCKED"}


def main() -> int:
    with open(os.environ["SIM_STATE"], encoding="utf-8") as file:
        state = json.load(file)
    command = os.path.basename(sys.argv[0])
    if command == "getprop":
        print(state["zone"] if sys.argv[1:] == ["persist.sys.timezone"] else "")
    elif command == "termux-battery-status":
        print(json.dumps({"present": True, "percentage": state["battery"], "status": "DISCHARGING"}))
    elif command == "termux-call-log":
        return call_log(state)
    else:
        calls = os.environ["SIM_STATE"] + ".calls"
        with open(calls, "a+", encoding="utf-8") as file:
            file.write(json.dumps([command, *sys.argv[1:]]) + "\n")
            file.seek(0)
            jobs = [json.loads(line) for line in file if "termux-job-scheduler" in line and "--pending" not in line]
        if "--pending" in sys.argv and jobs and "--cancel" not in jobs[-1]:
            print("Pending Job 7401: run.sh (periodic: 900000ms) (persisted) (network: ANY)")
    return 0


def call_log(state) -> int:
    options = {"-l": "10", "-o": "0"}
    arguments = sys.argv[1:]
    while arguments:
        option = arguments.pop(0)
        if option not in options or not arguments or not re.fullmatch("[0-9]+", arguments[0]):
            print(f"ERROR: bad argument of {option}: not a positive number")
            return 1
        options[option] = arguments.pop(0)
    fault = state["fault"]
    if fault == "hang":
        time.sleep(60)
    if fault == "empty":
        return 0
    if fault == "denied":
        name = "android.permission.READ_CALL_LOG"
        print(json.dumps({"error": f"Please grant the following permission to use this command: {name}"}))
        return 0
    limit, skip = int(options["-l"]), int(options["-o"])
    rows = sorted(state["rows"], key=lambda row: (row["date"], row["_id"]), reverse=True)
    if limit or fault == "literal zero":
        rows = rows[skip : skip + limit]
    if fault == "at most 50":
        rows = rows[:50]
    os.environ["TZ"] = state["zone"]
    time.tzset()
    text = json.dumps([shown(row, state["digits"]) for row in reversed(rows)], indent=2, ensure_ascii=False) + "\n"
    sys.stdout.buffer.write(text.encode()[: len(text) // 2 if fault == "truncated" else None])
    return 0


def shown(row, digits):
    seconds = row["duration"]
    hours = f"{seconds // 3600:02}:" if seconds >= 3600 else ""
    local = lambda text: text.translate({ord("0") + i: digit for i, digit in enumerate(digits)})  # noqa: E731
    return {
        "name": "UNKNOWN_CALLER" if row["name"] is None else row["name"],
        "phone_number": row["number"],
        "type": TYPES.get(row["type"], "UNKNOWN_TYPE"),
        "date": local(time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["date"] // 1000))),
        "duration": local(f"{hours}{seconds // 60 % 60:02}:{seconds % 60:02}"),
        "sim_id": row["subscription_id"],
    }


sys.exit(main())
