package pg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"pgsqlms/internal/command"
	"pgsqlms/internal/pattern"
)

// What Version and CheckVersion find wrong, for errors.Is.
var (
	ErrVersionMissing     = errors.New("PG_VERSION does not exist")
	ErrVersionGarbage     = errors.New("PG_VERSION cannot be understood")
	ErrVersionUnsupported = errors.New("unsupported version of PostgreSQL")
	ErrVersionMismatch    = errors.New("the programs and the data are of different versions of PostgreSQL")
)

// oldestMajor is the first version with standby.signal, and with the settings of a
// standby in postgresql.conf.
const oldestMajor = 12

// Version is the major version of the data, 12 or higher, from PG_VERSION. Its
// errors wrap ErrDataDirMissing, ErrNotDirectory, ErrDataDirAccess,
// ErrVersionMissing, ErrVersionGarbage, ErrVersionUnsupported or
// ErrNotRegular.
func (i *Instance) Version() (int, error) {
	text, err := i.readFile("PG_VERSION", maxSmallFile)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := i.statDirectory(i.cfg.DataDir); err != nil {
			return 0, err
		}
		return 0, fmt.Errorf("%w: %s holds no data of PostgreSQL", ErrVersionMissing, i.cfg.DataDir)
	}
	if err != nil {
		if _, dirErr := i.statDirectory(i.cfg.DataDir); dirErr != nil {
			return 0, dirErr
		}
		return 0, err
	}
	major, err := parseVersionFile(string(text))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", i.path("PG_VERSION"), err)
	}
	return major, nil
}

// parseVersionFile reads "15", or "9.6" as it was before version 10.
func parseVersionFile(text string) (int, error) {
	text = strings.TrimSuffix(text, "\n")
	digits, minor, old := strings.Cut(text, ".")
	major, err := parseMajor(digits)
	if err != nil || (old && !isNumber(minor)) {
		return 0, fmt.Errorf("%w: found %q, expected a number such as 15", ErrVersionGarbage, clip(text))
	}
	if major < oldestMajor || old {
		return 0, fmt.Errorf("%w: found %s, expected %d or later", ErrVersionUnsupported, text, oldestMajor)
	}
	return major, nil
}

// versionOutput is what `postgres --version` prints: "postgres (PostgreSQL)
// 15.6 (Debian 15.6-0+deb12u1)", or "16beta1" and "17devel" for the number.
var versionOutput = pattern.New(`^postgres \(PostgreSQL\) ([0-9]{1,4})([^0-9].*)?$`)

// CheckVersion runs `postgres --version` and compares the program's major
// version with the data's. A difference wraps ErrVersionMismatch.
func (i *Instance) CheckVersion(ctx context.Context) error {
	data, err := i.Version()
	if err != nil {
		return err
	}
	out, err := command.Run(ctx, command.Cmd{Path: i.tool("postgres"), Args: []string{"--version"}, User: &i.cfg.User})
	if err != nil {
		return err
	}
	program, err := parseVersionOutput(out.Stdout)
	if err != nil {
		return fmt.Errorf("%s --version: %w", i.tool("postgres"), err)
	}
	if program != data {
		return fmt.Errorf("%w: %s is version %d, the data in %s is of version %d",
			ErrVersionMismatch, i.tool("postgres"), program, i.cfg.DataDir, data)
	}
	return nil
}

func parseVersionOutput(text string) (int, error) {
	m := versionOutput.FindStringSubmatch(command.FirstLine(text))
	if m == nil {
		return 0, fmt.Errorf("found %q, expected something like \"postgres (PostgreSQL) 15.6\"", clip(text))
	}
	return parseMajor(m[1])
}

func parseMajor(s string) (int, error) {
	if !isNumber(s) {
		return 0, errors.New("not a number")
	}
	return strconv.Atoi(s)
}

// isNumber knows a number of at most four digits.
func isNumber(s string) bool {
	return s != "" && len(s) <= 4 && strings.Trim(s, "0123456789") == ""
}

// clip shortens what is quoted in an error: the input may be anything.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
