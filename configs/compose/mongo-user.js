// Runs once, when the database is made: the services' user, who reads and writes one database and sees the set.
db = db.getSiblingDB("tickrouter");
db.createUser({
  user: "tickrouter",
  pwd: process.env.MONGO_PASSWORD,
  roles: [{ role: "readWrite", db: "tickrouter" }, { role: "clusterMonitor", db: "admin" }],
});
