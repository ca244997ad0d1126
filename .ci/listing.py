#!/usr/bin/env python3
# What the processor executes for one push and one pop of the ring for one producer and one consumer, taken from the
# machine code itself: facts that no machine, no other load and no other processor changes.
#
# Builds functions that do nothing but call `push` or `pop`, disassembles them, and goes through every way from entry
# to return that calls nothing: these are the fast paths, one per layout and one per answer to "is the item known to be
# there?". For each it prints instructions, loads, stores and calls, and fails if
#
# * there is no such way for either layout, or it has more instructions or stores than said below;
# * it has a frame: more on the stack than the return address and the 8 bytes that align it for the calls of other ways;
# * an address, or the private position, is computed from a value loaded from shared memory: the next access would
#   wait for the cache line before it.
#
# Needs objdump. `.ci/listing -v` prints the listings too.
import os, re, subprocess, sys

root = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
target = os.environ.get('CARGO_TARGET_DIR', os.path.join(root, 'target'))
place = os.path.join(target, 'listing')
SOURCE = '''
use sysvshm::bounded_buffer::spsc::{Consumer, Producer};
#[unsafe(no_mangle)] #[inline(never)]
pub fn listed_push(producer: &mut Producer<u64>, item: u64) -> Result<(), sysvshm::bounded_buffer::PushError<u64>> { producer.push(item) }
#[unsafe(no_mangle)] #[inline(never)]
pub fn listed_try_push(producer: &mut Producer<u64>, item: u64) -> Result<(), sysvshm::bounded_buffer::PushError<u64>> { producer.try_push(item) }
#[unsafe(no_mangle)] #[inline(never)]
pub fn listed_pop(consumer: &mut Consumer<u64>) -> Result<u64, sysvshm::bounded_buffer::PopError> { consumer.pop() }
#[unsafe(no_mangle)] #[inline(never)]
pub fn listed_try_pop(consumer: &mut Consumer<u64>) -> Result<u64, sysvshm::bounded_buffer::PopError> { consumer.try_pop() }
'''
# Most instructions, return included, and stores: item, word and position of the handle; positions of the ring and of the
# handle, and the two halves of the result.
MOST = {'listed_push': (26, 3), 'listed_try_push': (26, 3), 'listed_pop': (31, 4), 'listed_try_pop': (31, 4)}

def listing(name, library):
    out = subprocess.run(['objdump', '-d', '-Mintel', '--no-show-raw-insn', library], capture_output=True, text=True, check=True).stdout
    code = re.search(rf'^[0-9a-f]+ <{name}>:\n(.*?)(?:\n\n|\Z)', out, re.M | re.S).group(1)
    lines = re.findall(r'^ *([0-9a-f]+):\t(\S+)[ \t]*([^\n#<]*)', code, re.M)
    return [(int(at, 16), op, args.strip()) for at, op, args in lines]

def fast_paths(code):
    """Every way from the first instruction to a return that calls nothing and goes nowhere else."""
    index = {at: i for i, (at, _, _) in enumerate(code)}
    def walk(i, path):
        while True:
            at, op, args = code[i]
            if op == 'ret':
                yield path + [code[i]]
                return
            if op in ('call', 'ud2') or (op == 'jmp' and not re.fullmatch('[0-9a-f]+', args)):
                return
            path = path + [code[i]]
            if op == 'jmp':
                if int(args, 16) not in index: return
                i = index[int(args, 16)]
            elif op.startswith('j'):
                there = int(args, 16)
                if there in index: yield from walk(index[there], path)
                i += 1
            else:
                i += 1
    yield from walk(0, [])

WIDTHS = {f'{p}{r}{s}': r for r in ('ax', 'bx', 'cx', 'dx', 'si', 'di', 'bp', 'sp') for p in ('r', 'e', '') for s in ('',)}
def whole(register):
    return WIDTHS.get(register, {'al': 'ax', 'bl': 'bx', 'cl': 'cx', 'dl': 'dx', 'sil': 'si', 'dil': 'di'}.get(register, register.rstrip('dwb') if register.startswith('r') else register))
def registers(text):
    return {whole(word) for word in re.findall(r'\b(?:r\w+|e[a-ds]\w|[a-ds][lxi]l?)\b', text)}

def follow(path, handle):
    """Loads, stores, and what is wrong, along one path. A register is private if it holds the address of the handle, or
    what was loaded from there; and loaded if it depends on what lies elsewhere: in shared memory."""
    loads = stores = 0
    wrong, holds_handle, loaded = [], {handle}, set()
    for number, (_, op, args) in enumerate(path):
        if (number, op, args) == (0, 'push', 'rax') or (number, op, args) == (len(path) - 2, 'pop', 'rcx'): continue
        operands = [part.strip() for part in re.split(r',(?![^\[]*\])', args)] if args else []
        memory = [o for o in operands if '[' in o]
        if op in ('push', 'pop') or (op in ('sub', 'add') and operands[0] == 'rsp'):
            wrong.append(f'a frame: {op} {args}')
            continue
        if op == 'lea':
            inside = registers(memory[0].split('[')[1])
            to = whole(operands[0])
            (loaded.add if inside & loaded else loaded.discard)(to)
            holds_handle.discard(to)
            continue
        for operand in memory:
            inside = registers(operand.split('[')[1])
            if inside & loaded: wrong.append(f'an address that depends on a loaded word: {op} {args}')
        is_store = memory and '[' in operands[0] and op not in ('cmp', 'test')
        if memory: loads, stores = loads + (not is_store or op != 'mov'), stores + bool(is_store)
        if op in ('cmp', 'test', 'ret', 'nop') or op.startswith('j'): continue
        if is_store:
            inside = registers(operands[0].split('[')[1])
            if inside & holds_handle and len(operands) > 1 and registers(operands[1]) & loaded:
                wrong.append(f'private state that depends on a loaded word: {op} {args}')
            continue
        to = whole(operands[0])
        sources = operands[1:] if op in ('mov', 'movzx', 'movabs') or op.startswith('set') or (op == 'xor' and len(set(operands)) == 1) else operands
        if op == 'xor' and len(set(operands)) == 1: sources = []
        depends = False
        is_handle = False
        for source in sources:
            if '[' in source:
                depends |= not registers(source.split('[')[1]) & holds_handle
            else:
                depends |= bool(registers(source) & loaded)
                is_handle |= op == 'mov' and bool(registers(source) & holds_handle)
        (loaded.add if depends else loaded.discard)(to)
        (holds_handle.add if is_handle else holds_handle.discard)(to)
    return loads, stores, wrong

def main():
    os.makedirs(place + '/src', exist_ok=True)
    with open(place + '/src/lib.rs', 'w') as f: f.write(SOURCE)
    with open(place + '/Cargo.toml', 'w') as f:
        f.write(f'[package]\nname = "listing"\nversion = "0.0.0"\nedition = "2024"\n[dependencies]\nsysvshm = {{ path = "{root}" }}\n[workspace]\n')
    subprocess.run(['cargo', 'build', '--release', '-q', '--manifest-path', place + '/Cargo.toml', '--target-dir', place + '/target'], check=True)
    library = place + '/target/release/liblisting.rlib'
    failed = False
    for name, (most, most_stores) in MOST.items():
        code = listing(name, library)
        if '-v' in sys.argv: print('\n'.join([name] + [f'  {at:4x}  {op} {args}' for at, op, args in code]))
        paths = sorted(fast_paths(code), key=len)
        faults = [] if len(paths) >= 2 else [f'{len(paths)} ways without a call, not one per layout at least']
        for path in paths:
            # The result comes first where it does not fit registers.
            is_returned_in_memory = any(re.search(r'\[rdi', a.split(',')[0]) and o == 'mov' for _, o, a in path[-6:]) and name.endswith('pop')
            loads, stores, wrong = follow(path, 'si' if is_returned_in_memory else 'di')
            jumps = sum(op.startswith('j') for _, op, _ in path)
            print(f'{name}: {len(path)} instructions, {jumps} of them jumps; {loads} loads, {stores} stores')
            faults += wrong
            if len(path) > most: faults.append(f'{len(path)} instructions, more than {most}')
            if stores > most_stores: faults.append(f'{stores} stores, more than {most_stores}')
        for fault in faults: print(f'{name}: {fault}', file=sys.stderr)
        failed |= bool(faults)
    sys.exit(failed)

main()
