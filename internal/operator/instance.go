package operator

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"

	"pgsqlms/internal/command"
	"pgsqlms/internal/crm"
	"pgsqlms/internal/pg"
	"pgsqlms/metadata"
)

// instance is this node's instance of a resource. What is asked of it goes through
// hanging.go, as storage that hangs answers nobody, and so it is no embedded field.
type instance struct {
	Instance  *pg.Instance // nil where the resource's parameters are wrong
	user      command.User
	dataDir   string
	binDir    string
	startOpts string
	hung      *hung // of the surveyor
}

// parameter is one of the resource's, with the agent's default where it is not set: also where
// it is set to nothing, as for the agent.
func parameter(r crm.Resource, name string) string {
	if v := r.Params[name]; v != "" {
		return v
	}
	return metadata.Default(name)
}

// openInstance describes the local instance by the resource's parameters, with the
// agent's defaults where they are not set. It looks at nothing yet.
func openInstance(ctx context.Context, r crm.Resource) (instance, error) {
	get := func(name string) string { return parameter(r, name) }
	c := pg.Config{
		BinDir: get(metadata.BinDir), PGData: get(metadata.PGData), DataDir: get(metadata.DataDir),
		Host: get(metadata.PGHost), StartOpts: get(metadata.StartOpts),
	}
	if c.DataDir == "" {
		c.DataDir = c.PGData
	}
	for _, p := range []struct{ name, value string }{
		{metadata.BinDir, c.BinDir}, {metadata.PGData, c.PGData}, {metadata.DataDir, c.DataDir},
	} {
		if !filepath.IsAbs(p.value) {
			return instance{}, fmt.Errorf("parameter %s of %s: found %q, expected an absolute path", p.name, r.Name, p.value)
		}
	}
	port, err := strconv.ParseUint(get(metadata.PGPort), 10, 16)
	if err != nil || port == 0 {
		return instance{}, fmt.Errorf("parameter %s of %s: found %q, expected a port", metadata.PGPort, r.Name, get(metadata.PGPort))
	}
	c.Port = int(port)
	ctx, cancel := context.WithTimeout(ctx, lookWait)
	defer cancel()
	if c.User, err = command.LookupUser(ctx, get(metadata.SystemUser)); err != nil {
		return instance{}, fmt.Errorf("parameter %s of %s: %w", metadata.SystemUser, r.Name, err)
	}
	if c.User.UID == 0 {
		return instance{}, fmt.Errorf("parameter %s of %s: found %q, which is root: expected the owner of the data, with whose rights they are read",
			metadata.SystemUser, r.Name, c.User.Name)
	}
	return instance{Instance: pg.New(c), user: c.User, dataDir: c.DataDir, binDir: c.BinDir, startOpts: c.StartOpts}, nil
}
