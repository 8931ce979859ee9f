package agefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"filippo.io/age"
)

// Identities are the private keys that values are decrypted with. The zero value
// has none.
type Identities struct {
	files []string
	list  []age.Identity
}

// LoadIdentities reads files as `age-keygen` writes them. The warnings are for
// whoever keeps the files.
func LoadIdentities(files ...string) (ids Identities, warnings []string, err error) {
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return Identities{}, nil, fmt.Errorf("read the age identities: %w", err)
		}
		list, err := readIdentities(file)
		if err != nil {
			return Identities{}, nil, fmt.Errorf("read the age identities of %s: %w", file, err)
		}
		if mode := info.Mode().Perm(); mode&0o007 != 0 {
			warnings = append(warnings, fmt.Sprintf("every user of this machine may read or change the age identities in %s (mode %04o): chmod o= %[1]s", file, mode))
		}
		ids.files, ids.list = append(ids.files, file), append(ids.list, list...)
	}
	return ids, warnings, nil
}

func readIdentities(file string) ([]age.Identity, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return nil, err
	}
	list, err := age.ParseIdentities(bytes.NewReader(data))
	if err != nil { // age's own words may quote what is there
		return nil, errors.New("it is no file of `age-keygen`: lines that begin with AGE-SECRET-KEY-1, comments and empty ones")
	}
	return list, nil
}

// Format writes what the identities are from, whatever the verb.
func (i Identities) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "identities of %q", i.files) }
