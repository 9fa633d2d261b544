package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"pgsqlms/test/lab"
)

func main() {
	lab.Hook()
	ctx, cancel := lab.UntilInterrupted(context.Background())
	defer cancel()
	start := time.Now()
	if os.Args[1] == "down" {
		fmt.Println(lab.Down(ctx, ""))
		return
	}
	l, err := lab.Up(ctx, lab.Config{Keep: true}, func(s string) { fmt.Println(s) })
	fmt.Println(time.Since(start), err)
	if err == nil {
		fmt.Println(l.Status(ctx))
	}
}
