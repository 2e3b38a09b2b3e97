/* global SwaggerUIBundle */
import { $ } from "./dom.js";
import { session } from "./session.js";

await session();

function show() {
  SwaggerUIBundle({
    url: $("service").value,
    domNode: $("swagger"),
    deepLinking: false,
    validatorUrl: null,
    requestInterceptor: (request) => {
      request.headers["X-Requested-With"] = "hsis-web";
      return request;
    },
  });
}

$("service").addEventListener("change", show);
show();
