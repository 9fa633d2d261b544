package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// scan reads the imports of the agent's packages in the tree under root. Every file counts, whatever its build tags;
// test files and the directory test do not, since tests may use everything.
func scan(root string) ([]imported, error) {
	var all []imported
	tree := os.DirFS(root)
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && skipped(name):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		imports, err := importsOf(root, name)
		all = append(all, imports...)
		return err
	})
	return all, err
}

func skipped(dir string) bool {
	base := path.Base(dir)
	return dir == "test" || dir == "tools" || base == "testdata" || (dir != "." && strings.HasPrefix(base, "."))
}

func importsOf(root, name string) ([]imported, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, filepath.FromSlash(name)), nil, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	imports := make([]imported, 0, len(parsed.Imports))
	for _, spec := range parsed.Imports {
		quoted, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		imports = append(imports, imported{file: name, from: path.Dir(name), path: quoted})
	}
	return imports, nil
}
