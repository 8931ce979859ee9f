#!/usr/bin/env python3
"""Runs the conformance cases of a folder and compares the outcome with pending.txt.

    check.py --bin ./gitdag [--cases DIR] [--jobs N] [--only REGEX] [--write]

A folder holds catalogues for run_conformance.py (golden_lang.jsonl, golden_ops.jsonl,
cases.jsonl), REST transcripts for replay_rest.py (rest_golden.jsonl) and, outside this
folder, schedule_cases.json.  Whatever of these is there is run; this folder's own
runners are used.

pending.txt lists, one id a line, the cases that are not expected to pass yet.  A case
that fails and is not listed fails the run.  A listed case that passes fails it too, and
so does, for this folder's own cases, one that is listed and does not exist.  With CI set
a case that is skipped counts as failed.  --write makes pending.txt anew from the run.

The last line is `conformance: N passed, N failed, N skipped`; a pending case that fails as
expected is in none of the three numbers.  Exit status 0 or 1.  Standard library only.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
PENDING = HERE / 'pending.txt'
CATALOGUES = ('golden_lang.jsonl', 'golden_ops.jsonl', 'cases.jsonl')
REST = 'rest_golden.jsonl'
SERVER_START_SECONDS = 15

Outcome = collections.namedtuple('Outcome', 'id verdict problems')


def run_catalogues(opts, folder):
    """Outcomes of the command cases of every catalogue in the folder."""
    names = [n for n in CATALOGUES if (folder / n).exists()]
    if not names:
        return []
    with tempfile.TemporaryDirectory(prefix='conformance-') as scratch:
        report = pathlib.Path(scratch, 'report.json')
        command = [sys.executable, str(HERE / 'run_conformance.py'), '--bin', opts.bin,
                   '--jobs', str(opts.jobs), '--json', str(report)]
        for name in names:
            command += ['--catalogue', str(folder / name)]
        schedules = folder / 'schedule_cases.json'
        if folder != HERE and schedules.exists():  # this folder's own are a Go test of engine/schedule
            command += ['--schedule-cases', str(schedules)]
        if opts.only:
            command += ['--only', opts.only]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if not report.exists():
            if opts.only and 'no case' in done.stdout:
                return []
            sys.exit('error: run_conformance.py wrote no report:\n' + done.stdout)
        results = json.loads(report.read_text(encoding='utf-8'))['results']
    return [Outcome(r['id'], r['verdict'], r['problems']) for r in results]


def run_rest(opts, folder):
    """Outcomes of the REST transcripts, one server for each configuration."""
    path = folder / REST
    if not path.exists():
        return []
    configs = {}
    for line in path.read_text(encoding='utf-8').splitlines():
        scenario = json.loads(line)
        if opts.only and not re.search(opts.only, scenario['id']):
            continue
        name = scenario['server_config']['name']
        configs.setdefault(name, (scenario['server_config']['lines'], []))[1].append(scenario['id'])
    outcomes = []
    for name, (lines, ids) in configs.items():
        outcomes += replay(opts, path, name, lines, ids)
    return outcomes


def replay(opts, path, name, lines, ids):
    scratch = pathlib.Path(tempfile.mkdtemp(prefix='conformance-'))
    port = free_port()
    config = scratch / 'server.properties'
    config.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    with open(scratch / 'server.log', 'w+', encoding='utf-8', errors='replace') as log:
        server = subprocess.Popen(
            [opts.bin, 'server', '--memory', '--bind', '127.0.0.1', '--port', str(port), '--config', str(config)],
            cwd=scratch, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            if not answers(server, port):
                log.seek(0)
                why = 'no server: ' + ' '.join(log.read().split())[-200:]
                return [Outcome(i, 'FAIL', [why]) for i in ids]
            command = [sys.executable, str(HERE / 'replay_rest.py'), '--endpoint', 'http://127.0.0.1:%d' % port,
                       '--cases', str(path), '--server-config', name]
            if opts.only:
                command += ['--only', opts.only]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            return read_replay(done.stdout, ids)
        finally:
            server.terminate()
            try:
                server.wait(45)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            shutil.rmtree(scratch, ignore_errors=True)


def read_replay(text, ids):
    found = {}
    last = None
    for line in text.splitlines():
        word = re.match(r'(PASS|FAIL|SKIP) ([^\s:]+)', line)
        if word and word.group(2) in ids:
            last = Outcome(word.group(2), word.group(1), [])
            found[last.id] = last
        elif last and line.startswith('     - '):
            last.problems.append(line[7:])
    return [found.get(i, Outcome(i, 'FAIL', ['the replayer said nothing of it'])) for i in ids]


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def answers(server, port):
    """Waits until the server answers, ends, or has had its time."""
    end = time.monotonic() + SERVER_START_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            return False
        try:
            urllib.request.urlopen('http://127.0.0.1:%d/api/version' % port, timeout=1).close()
            return True
        except urllib.error.HTTPError:
            return True  # it wants credentials: the transcripts bring them
        except OSError:
            time.sleep(0.1)
    return False


def read_pending():
    if not PENDING.exists():
        return []
    lines = (line.strip() for line in PENDING.read_text(encoding='utf-8').splitlines())
    return [line for line in lines if line and not line.startswith('#')]


def write_pending(outcomes):
    failing = sorted(o.id for o in outcomes if o.verdict == 'FAIL')
    head = '# Cases that are not expected to pass yet, one id a line. `make conformance-pending` writes this file.\n'
    PENDING.write_text(head + ''.join(i + '\n' for i in failing), encoding='utf-8')
    print('%s: %d of %d cases' % (PENDING.name, len(failing), len(outcomes)))


def unexpected(outcomes, pending, strict_skips):
    """Yields (case id, reasons) for each outcome that fails the run."""
    for o in outcomes:
        if o.verdict == 'FAIL' and o.id not in pending:
            yield o.id, o.problems
        elif o.verdict == 'PASS' and o.id in pending:
            yield o.id, ['it passes: take it off pending.txt']
        elif o.verdict == 'SKIP' and strict_skips:
            yield o.id, ['skipped: ' + '; '.join(o.problems)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--bin', required=True)
    parser.add_argument('--cases', type=pathlib.Path, default=HERE)
    parser.add_argument('--jobs', type=int, default=os.cpu_count() or 1)
    parser.add_argument('--only', help='regular expression of ids; unknown pending cases are not looked for')
    parser.add_argument('--write', action='store_true', help='write pending.txt from this run')
    opts = parser.parse_args()
    opts.bin = str(pathlib.Path(opts.bin).resolve())
    folder = opts.cases.resolve()
    own = folder == HERE

    outcomes = run_catalogues(opts, folder) + run_rest(opts, folder)
    if not outcomes:
        sys.exit('error: no case in %s' % folder)
    if opts.write:
        if not own or opts.only:
            sys.exit('error: pending.txt is written from a run of all cases of %s' % HERE)
        write_pending(outcomes)
        return 0

    pending = set(read_pending())
    bad = list(unexpected(outcomes, pending, strict_skips=own and bool(os.environ.get('CI'))))
    if own and not opts.only:
        bad += [(i, ['listed in pending.txt, but there is no such case'])
                for i in sorted(pending - {o.id for o in outcomes})]
    for case, problems in bad:
        print('FAIL ' + case)
        for problem in problems:
            print('     - ' + problem)
    count = collections.Counter(o.verdict for o in outcomes)
    waiting = sum(o.verdict == 'FAIL' and o.id in pending for o in outcomes)
    if waiting:
        print('%d cases are pending' % waiting)
    passed = count['PASS'] - sum(o.verdict == 'PASS' and o.id in pending for o in outcomes)
    print('conformance: %d passed, %d failed, %d skipped' % (passed, len(bad), count['SKIP']))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
