"""Recalls: archives are asked of the long-term stores and waited for."""
