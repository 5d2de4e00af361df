// Reads the dashboard as Grafana's own types have it: no unknown field, no missing one, and each panel and query of a kind
// that exists.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

func main() {
	if err := check(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func check(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	plugins.RegisterDefaultPlugins()
	// Without a problem this returns an error without a text, and leaves the panels out.
	if err := new(dashboard.Dashboard).UnmarshalJSONStrict(text); err != nil && err.Error() != "" {
		return err
	}
	var found dashboard.Dashboard
	if err := json.Unmarshal(text, &found); err != nil {
		return err
	}
	if err := found.Validate(); err != nil && err.Error() != "" {
		return err
	}
	if err := checkFieldConfigs(text); err != nil {
		return err
	}
	ids := map[uint32]bool{}
	queries := 0
	for _, one := range found.Panels {
		panel := one.Panel
		if panel == nil || panel.Id == nil || panel.Title == nil {
			return fmt.Errorf("a panel has no id or no title")
		}
		if ids[*panel.Id] {
			return fmt.Errorf("two panels have the id %d", *panel.Id)
		}
		ids[*panel.Id] = true
		if _, known := panel.Options.(map[string]any); known || panel.Options == nil {
			return fmt.Errorf("panel %q is of the type %q, which is not known", *panel.Title, panel.Type)
		}
		if len(panel.Targets) == 0 {
			return fmt.Errorf("panel %q has no query", *panel.Title)
		}
		for _, target := range panel.Targets {
			query, ok := target.(*prometheus.Dataquery)
			if !ok {
				value, isValue := target.(prometheus.Dataquery)
				if !isValue {
					return fmt.Errorf("panel %q: found a query of type %T; expected one for Prometheus", *panel.Title, target)
				}
				query = &value
			}
			if query.Expr == "" {
				return fmt.Errorf("panel %q has an empty query", *panel.Title)
			}
			queries++
		}
	}
	if queries == 0 {
		return fmt.Errorf("found no query")
	}
	fmt.Printf("%d panels with %d queries are as Grafana's types have them\n", len(ids), queries)
	return nil
}

// The strict reader of a panel reads its `fieldConfig` loosely, except for the part `custom`.
func checkFieldConfigs(text []byte) error {
	var raw struct {
		Panels []struct {
			Title       string          `json:"title"`
			FieldConfig json.RawMessage `json:"fieldConfig"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	for _, panel := range raw.Panels {
		err := new(dashboard.FieldConfigSource).UnmarshalJSONStrict(panel.FieldConfig)
		if err != nil && err.Error() != "" {
			return fmt.Errorf("panel %q: %w", panel.Title, err)
		}
	}
	return nil
}
