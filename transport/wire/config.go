package wire

// Config is how the device should be set up. It is the payload of SetConfig, and desired of the answer to Hello.
type Config struct {
	Config   uint64 // its number; a later configuration has a higher one
	RelockMs int64  // how long the bolt stays open after an open that does not say
}

// Parse reads the payload of a SetConfig.
func (c *Config) Parse(payload []byte) error {
	r := reader{b: payload}
	c.read(&r)
	return r.end()
}

func (c *Config) read(r *reader) {
	*c = Config{}
	config := false
	r.object(func(key []byte) bool {
		switch string(key) {
		case "config":
			c.Config, config = r.uint(), true
		case "relockMs":
			c.RelockMs = r.int()
		default:
			return false
		}
		return true
	})
	r.require(config && c.Config > 0, "config")
}

// Append writes the payload.
func (c *Config) Append(dst []byte) []byte {
	o := openObject(dst)
	o.uint("config", c.Config)
	if c.RelockMs > 0 {
		o.int("relockMs", c.RelockMs)
	}
	return o.close()
}

// ConfigResult is the device's word which configuration is in force.
type ConfigResult struct {
	Config uint64
}

// Parse reads the payload of the answer to a SetConfig.
func (c *ConfigResult) Parse(payload []byte) error {
	*c = ConfigResult{}
	r := reader{b: payload}
	config := false
	r.object(func(key []byte) bool {
		if string(key) != "config" {
			return false
		}
		c.Config, config = r.uint(), true
		return true
	})
	r.require(config, "config")
	return r.end()
}

// Append writes the payload.
func (c *ConfigResult) Append(dst []byte) []byte {
	o := openObject(dst)
	o.uint("config", c.Config)
	return o.close()
}
