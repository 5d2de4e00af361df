// Reads the dashboard as Grafana's own types have it: no unknown field, no missing one, and each panel and query of a kind
// that exists.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// Panels that show no series.
var withoutQueries = map[string]bool{"text": true}

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
	// This leaves the panels out of its result.
	if err := problem(new(dashboard.Dashboard).UnmarshalJSONStrict(text)); err != nil {
		return err
	}
	var found dashboard.Dashboard
	if err := json.Unmarshal(text, &found); err != nil {
		return err
	}
	if err := problem(found.Validate()); err != nil {
		return err
	}
	if err := checkFields(text); err != nil {
		return err
	}
	var panels []dashboard.Panel
	for _, one := range found.Panels {
		if one.RowPanel != nil {
			panels = append(panels, one.RowPanel.Panels...)
		} else {
			panels = append(panels, *one.Panel)
		}
	}
	ids := map[uint32]bool{}
	queries := 0
	for _, panel := range panels {
		count, err := checkPanel(&panel)
		if err != nil {
			return err
		}
		if ids[*panel.Id] {
			return fmt.Errorf("two panels have the id %d", *panel.Id)
		}
		ids[*panel.Id] = true
		queries += count
	}
	if queries == 0 {
		return errors.New("found no query")
	}
	fmt.Printf("%d panels with %d queries are as Grafana's types have them\n", len(ids), queries)
	return nil
}

// The generated code returns an error without a text where there is no problem.
func problem(err error) error {
	if err != nil && err.Error() == "" {
		return nil
	}
	return err
}

// Reads the fields' settings strictly. What reads panels strictly reads these with plain JSON, and ignores what it does not know.
func checkFields(text []byte) error {
	type panel struct {
		Title       string
		FieldConfig json.RawMessage
	}
	var found struct {
		Panels []struct {
			panel
			Panels []panel // of a row
		}
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return err
	}
	for _, one := range found.Panels {
		for _, panel := range append(one.Panels, one.panel) {
			if err := problem(new(dashboard.FieldConfigSource).UnmarshalJSONStrict(panel.FieldConfig)); err != nil {
				return fmt.Errorf("panel %q: fieldConfig: %w", panel.Title, err)
			}
		}
	}
	return nil
}

// Returns how many queries a panel has.
func checkPanel(panel *dashboard.Panel) (int, error) {
	if panel.Id == nil || panel.Title == nil {
		return 0, errors.New("a panel has no id or no title")
	}
	if _, known := panel.Options.(map[string]any); known || panel.Options == nil {
		return 0, fmt.Errorf("panel %q is of the type %q, which is not known", *panel.Title, panel.Type)
	}
	if len(panel.Targets) == 0 && !withoutQueries[panel.Type] {
		return 0, fmt.Errorf("panel %q has no query", *panel.Title)
	}
	for _, target := range panel.Targets {
		query, ok := target.(*prometheus.Dataquery)
		if !ok {
			value, isValue := target.(prometheus.Dataquery)
			if !isValue {
				return 0, fmt.Errorf("panel %q: found a query of type %T; expected one for Prometheus", *panel.Title, target)
			}
			query = &value
		}
		if query.Expr == "" {
			return 0, fmt.Errorf("panel %q has an empty query", *panel.Title)
		}
	}
	return len(panel.Targets), nil
}
