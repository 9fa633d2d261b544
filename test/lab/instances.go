package lab

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// MakeInstances makes n PostgreSQL instances on the first node of a lab with
// NoResources: copies of its primary, each with a port, a data directory and a
// configuration of its own. RunInstances gives them to the cluster.
func (l *Lab) MakeInstances(ctx context.Context, n int) error {
	node := l.Nodes()[0]
	data := filepath.Join(nodeDir(l.dir, node.Name), "data", fmt.Sprint(l.PGVersion()))
	for i := range n {
		at := l.instance(i)
		if err := runTool(ctx, nil, "cp", "-a", filepath.Join(data, "main"), filepath.Join(data, at.name)); err != nil {
			return err
		}
		c := l.plan.Config
		c.PGConf = merged(merged(map[string]string{}, c.PGConf), map[string]string{
			"data_directory": at.data, "hba_file": at.conf + "/pg_hba.conf", "ident_file": at.conf + "/pg_ident.conf",
			"port": fmt.Sprint(at.port), "log_filename": at.name + ".log",
			"shared_buffers": "16MB",
		})
		for file, text := range map[string]string{
			"postgresql.conf": pgConf(c, l.plan.Facts, l.Nodes(), node), "pg_hba.conf": pgHBA(c, node), "pg_ident.conf": "",
		} {
			if err := l.WriteFile(node.Name, at.conf+"/"+file, []byte(text), 0o644, "postgres"); err != nil {
				return err
			}
		}
	}
	return nil
}

type instance struct {
	name, data, conf string
	port             int
}

func (l *Lab) instance(i int) instance {
	name := fmt.Sprintf("i%d", i+1)
	return instance{
		name: name,
		data: filepath.Join(filepath.Dir(l.PGData()), name),
		conf: filepath.Join(filepath.Dir(l.PGConf()), name),
		port: 5440 + i,
	}
}

// RunInstances has the cluster run the first n instances, each a promotable
// clone of its own, and waits until all are promoted. Their monitors run at an
// interval, or not at all if it is 0.
func (l *Lab) RunInstances(ctx context.Context, n int, every time.Duration) error {
	var b strings.Builder
	b.WriteString("<resources>" + l.cib().fenceDevice())
	for i := range n {
		b.WriteString(l.instanceClone(i, every))
	}
	b.WriteString("</resources>")
	node := l.Nodes()[0].Name
	res, err := l.Exec(ctx, node, ExecOptions{Stdin: strings.NewReader(b.String())}, "cibadmin", "--replace", "--scope", "resources", "--xml-pipe")
	if err != nil {
		return err
	}
	if res.Code != 0 {
		return fmt.Errorf("loading %d instances: %s", n, res.Stderr)
	}
	return await(ctx, 2*time.Minute, 300*time.Millisecond, func() error {
		if err := l.clusterComplete(ctx); err != nil {
			return err
		}
		out, err := l.Run(ctx, node, "crm_mon", "-1", "--output-as=xml")
		if promoted := strings.Count(out, `role="`+l.cib().role("Promoted")+`"`); err == nil && promoted < n {
			err = fmt.Errorf("%d of %d instances are promoted", promoted, n)
		}
		return err
	})
}

// instanceClone is the clone of one instance. A monitor that fails or takes too
// long is let be: what is measured is what it costs.
func (l *Lab) instanceClone(i int, every time.Duration) string {
	at := l.instance(i)
	c := l.cib()
	id := "pgsqld" + at.name
	var ops strings.Builder
	for _, op := range RecommendedOps(l.Config().Agent) {
		if op.Name != "monitor" {
			ops.WriteString(operation(id, op))
		}
	}
	if every > 0 {
		monitor := operation(id, Op{Name: "monitor", Role: c.role("Promoted"), Interval: every, Timeout: 10 * time.Second})
		ops.WriteString(strings.Replace(monitor, "/>", ` on-fail="ignore"/>`, 1))
	}
	params := merged(c.resourceParams(), map[string]string{
		"pgdata": at.data, "pgport": fmt.Sprint(at.port), "start_opts": "-c config_file=" + at.conf + "/postgresql.conf",
	})
	return `<clone id="` + id + `-clone">` +
		nvset("meta_attributes", id+"-clone-meta", map[string]string{"notify": "true", "promotable": "true", "promoted-max": "1"}) +
		`<primitive id="` + id + `" class="ocf" provider="heartbeat" type="` + c.agentType() + `">` +
		nvset("instance_attributes", id+"-params", params) +
		`<operations>` + ops.String() + `</operations></primitive></clone>`
}

// CPUTime is what all processes of a node have used so far.
func (l *Lab) CPUTime(node string) (time.Duration, error) {
	f, err := os.Open(filepath.Join(string(nodeCgroup(l.plan, node)), "cpu.stat"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var usec int64
		if _, err := fmt.Sscanf(lines.Text(), "usage_usec %d", &usec); err == nil {
			return time.Duration(usec) * time.Microsecond, nil
		}
	}
	return 0, fmt.Errorf("%s: no usage_usec", f.Name())
}
