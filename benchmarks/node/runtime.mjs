// The least that a Lambda runtime client can do: GET next, call the handler, POST its answer, on one kept connection.
// For machines on which AWS's own client for Node does not build (it compiles curl).
import http from "node:http";
const { handler } = await import(`./${process.argv[2]}.mjs`);

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function send(method, path, body = "") {
  const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, agent, method, path: `/2018-06-01/runtime/invocation/${path}`, headers });
    request.on("error", reject).on("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve({ text, id: response.headers["lambda-runtime-aws-request-id"] }));
    });
    request.end(body);
  });
}

for (;;) {
  const { text, id } = await send("GET", "next");
  await send("POST", `${id}/response`, JSON.stringify(await handler(JSON.parse(text))));
}
