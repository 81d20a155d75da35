"""Weights over a network: hubs, web addresses, object stores; read by range, within bounds."""
