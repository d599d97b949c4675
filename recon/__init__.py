"""From a measurement to a model: acquisitions, fields, fitting, models, volumes, metrics, pictures, reports, runs."""
