package pg

import (
	"context"
	"fmt"
	"strings"

	"pgsqlms/internal/command"
	"pgsqlms/internal/wal"
)

// walPage is XLOG_BLCKSZ, the page size of the write-ahead log in every packaged
// PostgreSQL.
const walPage = 8192

// EndsWithShutdown says whether the last record of the log, which ends at end, is the
// checkpoint of a clean shutdown. Only the last two pages are read; the last one alone
// when the one before is in a segment that is no longer there.
func (i *Instance) EndsWithShutdown(ctx context.Context, end wal.Position) (shutdown bool, err error) {
	before := twoPagesBefore(end.LSN)
	for _, start := range []wal.LSN{before, before + walPage} {
		var record string
		if record, err = i.lastRecord(ctx, start, end); err == nil {
			return isShutdownCheckpoint(record), nil
		}
	}
	return false, err
}

func (i *Instance) lastRecord(ctx context.Context, start wal.LSN, end wal.Position) (string, error) {
	result, err := command.Run(ctx, command.Cmd{
		Path: i.tool("pg_waldump"), User: &i.cfg.User,
		Args: []string{
			"--path=" + i.path("pg_wal"), fmt.Sprintf("--timeline=%d", end.Timeline), "--start=" + start.String(),
		},
	})
	if err != nil {
		return "", err
	}
	record := lastLine(result.Stdout)
	if record == "" {
		return "", fmt.Errorf("pg_waldump shows no record between %s and %s: %s", start, end.LSN, command.FirstLine(result.Stderr))
	}
	return record, nil
}

// twoPagesBefore is the start of the page before the one that holds the last byte: a
// checkpoint's record fits into a page, but may begin on the one before. pg_waldump
// goes on from there to the next whole record, and ends, with an error, where the log
// does.
func twoPagesBefore(end wal.LSN) wal.LSN {
	if end <= 2*walPage {
		return walPage
	}
	return (end-1)/walPage*walPage - walPage
}

func lastLine(output string) string {
	output = strings.TrimRight(output, "\n")
	return output[strings.LastIndexByte(output, '\n')+1:]
}

// isShutdownCheckpoint reads the labels of one line of pg_waldump:
//
//	rmgr: XLOG  len (rec/tot): 114/ 114, tx: 0, lsn: 0/03000028, prev 0/02000100, desc: CHECKPOINT_SHUTDOWN redo ...
func isShutdownCheckpoint(line string) bool {
	manager, _, _ := strings.Cut(strings.TrimPrefix(line, "rmgr: "), " ")
	_, description, found := strings.Cut(line, ", desc: ")
	word, _, _ := strings.Cut(description, " ")
	return found && strings.HasPrefix(line, "rmgr: ") && manager == "XLOG" && word == "CHECKPOINT_SHUTDOWN"
}
