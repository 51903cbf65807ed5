//! HTTP clients of the farm's two APIs.
