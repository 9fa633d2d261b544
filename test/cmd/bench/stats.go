package main

import (
	"math"
	"slices"
)

// summary is what is told of a series of figures.
type summary struct {
	N      int     `json:"n"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func summarize(figures []float64) summary {
	if len(figures) == 0 {
		return summary{}
	}
	sorted := slices.Sorted(slices.Values(figures))
	n := len(sorted)
	return summary{N: n, Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1]}
}

// ratio of two medians; NaN when one is missing.
func ratio(a, b summary) float64 {
	if a.N == 0 || b.N == 0 || b.Median == 0 {
		return math.NaN()
	}
	return a.Median / b.Median
}
