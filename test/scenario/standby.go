package scenario

import (
	"strconv"

	"pgsqlms/test/lab"
)

// bestStandby gives the streaming standby with the highest promotion score, the first by name among equals, or "".
func bestStandby(status *lab.Status) string {
	best, bestScore := "", 0
	for name, node := range status.Nodes {
		score, err := strconv.Atoi(node.Score)
		if err != nil || node.SQL != "standby" || !node.Streaming {
			continue
		}
		if best == "" || score > bestScore || score == bestScore && name < best {
			best, bestScore = name, score
		}
	}
	return best
}
