#!/bin/sh
# Every parameter of a task is a variable of its environment.
set -eu
echo "$1 for session $session_time"
