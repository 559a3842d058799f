"""RabbitMQ: takes the jobs that SciCat publishes."""
