package faults

import (
	"context"
	"fmt"
	"time"

	"pgsqlms/test/lab"
)

// walDisk is where the small disk is mounted in a node.
const walDisk = "/var/lib/pgwal"

// smallWAL keeps a healthy pg_wal far below the small disk's size.
var smallWAL = map[string]string{"wal_keep_size": "32MB", "min_wal_size": "32MB", "max_wal_size": "64MB"}

// fullDisk takes away the room that PostgreSQL needs for its next WAL segment.
func fullDisk() Fault {
	return Fault{
		ID: "F16", Title: "pg_wal's disk full on the primary", Must: "failover; stop succeeds; back as a standby once there is room",
		Bound:   10 * time.Minute,
		Prepare: moveToSmallDisk, Restore: leaveSmallDisk,
		Play: func(ctx context.Context, p *Play) error {
			p.Allow = Allowance{
				AsyncLoss: true, Promotions: Range{1, 6}, Starts: each(8, p.Primary),
				Diverging: []string{p.Primary}, Serve: 120 * time.Second, Whole: streamTime,
			}
			for _, standby := range p.Standbys {
				// A primary that ends in the middle of a record which goes on in the next segment makes a standby of PostgreSQL 15
				// panic at the begin of the new timeline ("invalid contrecord length"). It comes back.
				p.Allow.Starts[standby] = 1
			}
			if err := p.fillUntilPromotion(ctx); err != nil {
				return err
			}
			if err := p.awaitWrites(ctx, time.Now(), 60*time.Second); err != nil {
				return err
			}
			if err := p.hold(ctx, 2*p.monitor()); err != nil {
				return err
			}
			return p.inject("room again on "+p.Primary, func() error { return p.makeRoom(ctx) })
		},
	}
}

// fillUntilPromotion takes the room away, again if need be: PostgreSQL that has crashed for want of it recovers, removes
// what WAL it needs no more, and may go on for a while.
func (p *Play) fillUntilPromotion(ctx context.Context) (err error) {
	for range 5 {
		err = p.inject("pg_wal's disk on "+p.Primary+" full", func() error {
			return p.script(ctx, p.Primary, `avail=$(df --output=avail -B1 `+walDisk+` | tail -1); test "$avail" -eq 0 || `+
				`fallocate -l "$avail" "$(mktemp `+walDisk+`/filler.XXXXXX)"`)
		})
		if err != nil {
			return err
		}
		if err := p.writeWAL(ctx, 100); err != nil { // as it should: it ends what PostgreSQL has room for
			p.note("%v", err)
		}
		if err = p.awaitPromotionBeside(ctx, p.Primary, 24*time.Second); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// awaitPromotionBeside waits until a node other than one is promoted.
func (p *Play) awaitPromotionBeside(ctx context.Context, node string, bound time.Duration) error {
	err := await(ctx, bound, 200*time.Millisecond, func(context.Context) string {
		for _, found := range p.promotions() {
			if found.node != node {
				p.note("%s is promoted", found.node)
				return ""
			}
		}
		return "no node but " + node + " was promoted"
	})
	if err != nil && ctx.Err() == nil {
		return breach(I6, "%v", err)
	}
	return err
}

// makeRoom is what an administrator does who has found out: the failures that Pacemaker remembers go as well.
func (p *Play) makeRoom(ctx context.Context) error {
	if err := p.script(ctx, p.Primary, "rm -f "+walDisk+"/filler.*"); err != nil {
		return err
	}
	_, err := p.Lab.Run(ctx, p.Primary, "crm_resource", "--cleanup", "--resource", lab.Resource, "--node", p.Primary)
	return err
}

// script runs a shell's commands on a node.
func (p *Play) script(ctx context.Context, node, text string) error {
	_, err := p.Lab.Run(ctx, node, "sh", "-ec", text)
	return err
}

// moveToSmallDisk gives a standby a disk of its own for pg_wal, in memory, and makes that standby the primary.
func moveToSmallDisk(ctx context.Context, p *Play) error {
	node := p.Standbys[0]
	if err := p.Lab.ConfigurePostgres(ctx, settings(p.Lab, p.Mode, smallWAL)); err != nil {
		return err
	}
	if err := p.Lab.StopCluster(ctx, node); err != nil {
		return err
	}
	wal := p.Lab.PGData() + "/pg_wal"
	err := p.script(ctx, node, fmt.Sprintf(`
mkdir -p %[1]s
size=$(($(du -sm %[2]s | cut -f1) + 300)) # earlier scenarios leave more than smallWAL says
mount -t tmpfs -o size=${size}m,mode=0700 tmpfs %[1]s
cp -a %[2]s/. %[1]s/
chown postgres:postgres %[1]s
rm -rf %[2]s
ln -s %[1]s %[2]s
chown -h postgres:postgres %[2]s`, walDisk, wal))
	if err != nil {
		return err
	}
	if err := p.Lab.StartCluster(ctx, node); err != nil {
		return err
	}
	if err := p.stand.whole(ctx); err != nil {
		return err
	}
	if err := p.Lab.Move(ctx, node); err != nil {
		return err
	}
	return p.stand.whole(ctx)
}

// leaveSmallDisk brings pg_wal back to where it was. A node that was rebuilt has left it already.
func leaveSmallDisk(ctx context.Context, p *Play) error {
	node := p.Primary
	if err := p.Lab.StopCluster(ctx, node); err != nil {
		return err
	}
	wal := p.Lab.PGData() + "/pg_wal"
	err := p.script(ctx, node, fmt.Sprintf(`
if test -L %[2]s; then
	rm %[2]s
	cp -a %[1]s/. %[2]s
fi
umount %[1]s`, walDisk, wal))
	if err != nil {
		return err
	}
	if err := p.Lab.StartCluster(ctx, node); err != nil {
		return err
	}
	if err := p.stand.whole(ctx); err != nil {
		return err
	}
	return p.Lab.ConfigurePostgres(ctx, settings(p.Lab, p.Mode, nil))
}
