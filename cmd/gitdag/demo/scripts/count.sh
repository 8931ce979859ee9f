set -eu
total=0
while read -r page visits; do
  echo "$page: $visits"
  total=$((total + visits))
done <data/visits.txt
echo "all pages: $total"
