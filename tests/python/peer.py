"""Python's sysv_ipc as a peer: one command a line from stdin, one line of answer.

    create KEY BYTES MODE     id of a new segment that this program keeps attached; mode in octal
    open KEY                  the same for an existing one
    by_id ID ro|rw            attaches by identifier
    write OFFSET HEX          into the attached segment
    read OFFSET COUNT         in hexadecimal; COUNT 0 reads to the end
    view OFFSET COUNT         the same through the buffer protocol, after other processes had their chance to write
    facts                     "size mode nattch cpid lpid uid cuid"
    mode MODE                 sets the mode, in octal
    ftok ID PATH              the key
    detach | remove           in one word

A failure is answered by "error CLASS", the exception's name.
"""

import sys

try:
    import sysv_ipc
except ImportError as error:
    print("unavailable", error, flush=True)
    sys.exit(0)
print("ready", sysv_ipc.VERSION, flush=True)

memory = None


def command(word, *arguments):
    global memory
    if word == "create":
        key, size, mode = int(arguments[0]), int(arguments[1]), int(arguments[2], 8)
        memory = sysv_ipc.SharedMemory(key, sysv_ipc.IPC_CREX, mode, size)
        return memory.id
    if word == "open":
        memory = sysv_ipc.SharedMemory(int(arguments[0]))
        return memory.id
    if word == "by_id":
        flags = sysv_ipc.SHM_RDONLY if arguments[1] == "ro" else 0
        memory = sysv_ipc.attach(int(arguments[0]), flags=flags)
        return memory.id
    if word == "write":
        memory.write(bytes.fromhex(arguments[1]), int(arguments[0]))
        return "done"
    if word == "read":
        return memory.read(int(arguments[1]), int(arguments[0])).hex()
    if word == "view":
        offset, count = int(arguments[0]), int(arguments[1])
        with memoryview(memory) as view:
            return f"{len(view)} {bytes(view[offset:offset + count]).hex()}"
    if word == "facts":
        m = memory
        return f"{m.size} {m.mode & 0o777:o} {m.number_attached} {m.creator_pid} {m.last_pid} {m.uid} {m.cuid}"
    if word == "mode":
        memory.mode = int(arguments[0], 8)
        return "done"
    if word == "ftok":
        return sysv_ipc.ftok(arguments[1], int(arguments[0]), silence_warning=True)
    if word == "detach":
        memory.detach()
        return "detached"
    if word == "remove":
        memory.remove()
        return "removed"
    raise SystemExit(2)


for line in sys.stdin:
    try:
        print(command(*line.split()), flush=True)
    except (sysv_ipc.Error, OSError, ValueError) as error:
        print("error", type(error).__name__, flush=True)
