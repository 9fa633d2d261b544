package arch

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestImportsKeepToTheFloors(t *testing.T) {
	imports, err := scan("../..")
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(imports, func(i imported) bool { return i.from == "metadata" }),
		"the scan did not come past metadata: it looks at the wrong tree")
	for _, i := range imports {
		if v := violation(i); v != "" {
			t.Error(v)
		}
	}
}

func TestViolations(t *testing.T) {
	tests := []struct {
		from, path string
		want       string // part of the message; empty: allowed
	}{
		{"cmd/pgsqlms", "pgsqlms/internal/agent", ""},
		{"internal/agent", "pgsqlms/internal/pg", ""},
		{"internal/pg", "pgsqlms/internal/wal", ""},
		{"internal/agent", "pgsqlms/internal/command", ""},
		{"internal/agent", "pgsqlms/metadata", ""},
		{"internal/command", "os/exec", ""},
		{"internal/pg", "github.com/jackc/pgx/v5/pgconn", ""},
		{"internal/crm", "github.com/beevik/etree", ""},
		{"internal/pg", "time", ""},
		{"internal/election", "strings", ""},

		{"internal/ocf", "pgsqlms/metadata", "may not import metadata"},
		{"internal/agent", "pgsqlms/internal/operator", "may not import internal/operator"},
		{"internal/pg", "pgsqlms/internal/ocf", "may not import internal/ocf"},
		{"internal/crm", "pgsqlms/internal/wal", "may not import internal/wal"},
		{"internal/wal", "pgsqlms/internal/election", "may not import internal/election"},
		{"metadata", "pgsqlms/internal/ocf", "may not import internal/ocf"},
		{"internal/agent", "pgsqlms/test/lab", "may not import test/lab"},
		{"internal/novelty", "pgsqlms/internal/wal", "has no place"},
		{"internal/pg", "os/exec", "expected only in internal/command"},
		{"internal/agent", "github.com/jackc/pgx/v5", "expected only in internal/pg"},
		{"internal/pg", "github.com/beevik/etree", "expected only in internal/crm"},
		{"internal/ocf", "github.com/stretchr/testify/require", "expected only in tests"},
		{"internal/wal", "pgregory.net/rapid", "expected only in tests"},
		{"internal/election", "time", "may not import time"},
		{"internal/election", "os", "may not import os"},
		{"internal/election", "net/netip", "may not import net/netip"},
	}
	for _, tt := range tests {
		got := violation(imported{file: "f.go", from: tt.from, path: tt.path})
		if tt.want == "" {
			require.Empty(t, got)
		} else {
			require.Contains(t, got, tt.want, "%s imports %s", tt.from, tt.path)
		}
	}
}

// What the scan passes over is a hole in the floors, so it is tested with a tree of its own.
func TestScan(t *testing.T) {
	root := t.TempDir()
	write := func(name, source string) {
		file := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(source), 0o600))
	}
	write("internal/wal/a.go", "package wal\nimport \"os/exec\"\n")
	write("internal/wal/tagged.go", "//go:build windows && never\n\npackage wal\nimport x \"net\"\n")
	write("internal/wal/a_test.go", "package wal\nimport \"testing\"\n")
	write("internal/wal/testdata/b.go", "package b\nimport \"fmt\"\n")
	write("test/lab/c.go", "package lab\nimport \"os\"\n")
	write(".cache/d.go", "package d\nimport \"os\"\n")
	write("tools/e.go", "package e\nimport \"os\"\n")

	imports, err := scan(root)
	require.NoError(t, err)
	require.ElementsMatch(t, []imported{
		{"internal/wal/a.go", "internal/wal", "os/exec"},
		{"internal/wal/tagged.go", "internal/wal", "net"},
	}, imports)
}
