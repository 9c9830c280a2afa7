"""Sample data of the domain `crm`."""
